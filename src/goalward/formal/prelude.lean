prelude
/- What proofs are made of, under the names and with the arguments that core Lean gives them. -/
set_option autoImplicit false
set_option genCtorIdx false
universe u v w
unsafe axiom lcErased : Type -- the compiler asks for these two by name; what is unsafe proves nothing
unsafe axiom lcAny : Type

inductive False : Prop
inductive True : Prop where
  | intro : True
inductive And (a b : Prop) : Prop where
  | intro (left : a) (right : b) : And a b
inductive Or (a b : Prop) : Prop where
  | inl (h : a) : Or a b
  | inr (h : b) : Or a b
inductive Iff (a b : Prop) : Prop where
  | intro (mp : a → b) (mpr : b → a) : Iff a b
def Not (a : Prop) : Prop := a → False
axiom Classical.em (p : Prop) : Or p (Not p)

theorem False.elim {C : Prop} (h : False) : C := False.rec (fun _ => C) h
theorem absurd {a b : Prop} (h₁ : a) (h₂ : Not a) : b := False.elim (h₂ h₁)
theorem And.left {a b : Prop} (self : And a b) : a := And.rec (fun x _ => x) self
theorem And.right {a b : Prop} (self : And a b) : b := And.rec (fun _ y => y) self
theorem Or.elim {a b c : Prop} (h : Or a b) (left : a → c) (right : b → c) : c := Or.rec left right h
theorem Iff.mp {a b : Prop} (self : Iff a b) : a → b := Iff.rec (fun f _ => f) self
theorem Iff.mpr {a b : Prop} (self : Iff a b) : b → a := Iff.rec (fun _ g => g) self

inductive Eq {α : Sort u} : α → α → Prop where
  | refl (a : α) : Eq a a
theorem rfl {α : Sort u} {a : α} : Eq a a := Eq.refl a
theorem Eq.subst {α : Sort u} {motive : α → Prop} {a b : α} (h₁ : Eq a b) (h₂ : motive a) : motive b := Eq.rec h₂ h₁
theorem Eq.symm {α : Sort u} {a b : α} (h : Eq a b) : Eq b a := Eq.rec (Eq.refl a) h
theorem Eq.trans {α : Sort u} {a b c : α} (h₁ : Eq a b) (h₂ : Eq b c) : Eq a c := Eq.subst h₂ h₁
theorem congrArg {α : Sort u} {β : Sort v} {a₁ a₂ : α} (f : α → β) (h : Eq a₁ a₂) : Eq (f a₁) (f a₂) :=
  Eq.rec (Eq.refl (f a₁)) h

inductive Nat : Type where
  | zero : Nat
  | succ (n : Nat) : Nat
noncomputable def Nat.add (n m : Nat) : Nat := Nat.rec n (fun _ sum => Nat.succ sum) m
noncomputable def Nat.mul (n m : Nat) : Nat := Nat.rec Nat.zero (fun _ product => Nat.add product n) m
theorem Nat.succ.inj {m n : Nat} (h : Eq (Nat.succ m) (Nat.succ n)) : Eq m n :=
  @Eq.rec Nat (Nat.succ m) (fun x _ => @Eq Nat m (@Nat.rec (fun _ => Nat) Nat.zero (fun k _ => k) x)) (Eq.refl m) _ h
theorem Nat.succ_ne_zero (n : Nat) : Not (Eq (Nat.succ n) Nat.zero) :=
  fun h => @Eq.rec Nat (Nat.succ n) (fun x _ => @Nat.rec (fun _ => Prop) False (fun _ _ => True) x) True.intro _ h
-- Lean's unifier writes succ n as n + 1, with these names.
class OfNat (α : Type u) (_ : Nat) where
  ofNat : α
instance instOfNatNat (n : Nat) : OfNat Nat n where
  ofNat := n
class Add (α : Type u) where
  add : α → α → α
class HAdd (α : Type u) (β : Type v) (γ : Type w) where
  hAdd : α → β → γ
instance instHAdd {α : Type u} [Add α] : HAdd α α α where
  hAdd := Add.add
noncomputable instance instAddNat : Add Nat where
  add := Nat.add
